"""What reports say besides their findings: normality, devices, circumstances, small talk. Data only."""

from __future__ import annotations

from collections.abc import Mapping

CLEAR = (
    "The lungs are clear.",
    "The lungs are well expanded and clear.",
    "Clear lungs.",
    "Both lungs are clear without focal opacity.",
)
NORMAL = (
    "No acute cardiopulmonary process.",
    "No acute cardiopulmonary abnormality.",
    "Normal chest radiograph.",
    "No evidence of acute disease in the chest.",
    "No radiographic evidence of acute cardiopulmonary disease.",
    "Unremarkable chest.",
)
FILLERS = (
    "The osseous structures are unremarkable for age.",
    "There are mild degenerative changes of the thoracic spine.",
    "The trachea is midline.",
    "Imaged upper abdomen is unremarkable.",
    "No free air below the diaphragm.",
    "Patient is slightly rotated.",
    "Assessment is limited by patient positioning.",
    "The aorta is mildly tortuous.",
    "Surgical clips project over the right upper quadrant.",
    "The hilar contours are stable.",
    "Dr. ___ was notified by telephone at ___.",
    "Degenerative changes are seen at the shoulders.",
    "Lung volumes are within normal limits.",
    "There is no subdiaphragmatic free gas.",
    "The visualized soft tissues are unremarkable.",
    "Calcifications are noted along the aortic arch.",
)
LOW_VOLUMES = (
    "Lung volumes are low.",
    "Low lung volumes accentuate the bronchovascular markings.",
    "Inspiratory effort is poor.",
)

DEVICES: Mapping[str, tuple[str, ...]] = {
    "ECG leads": ("Monitoring leads overlie the chest.", ""),
    "endotracheal tube": (
        "The endotracheal tube terminates ___ cm above the carina.",
        "ET tube is in standard position.",
        "Endotracheal tube in place.",
    ),
    "enteric tube": (
        "An enteric tube courses below the diaphragm.",
        "Nasogastric tube tip is in the stomach.",
        "Orogastric tube in place.",
    ),
    "central line": (
        "Internal jugular central venous catheter tip is in the SVC.",
        "A central venous line ends in the mid SVC.",
        "IJ catheter in place.",
    ),
    "PICC": (
        "PICC line terminates in the low SVC.",
        "A peripherally inserted catheter is in unchanged position.",
    ),
    "port": ("Port-A-Cath terminates in the SVC.", "A chest port is present."),
    "pacemaker": (
        "A dual-lead pacemaker is in place.",
        "Left chest wall pacer device with intact leads.",
        "Pacemaker leads project over the right atrium and ventricle.",
    ),
    "sternal wires": ("Median sternotomy wires are intact.", "Patient is status post sternotomy and CABG."),
    "chest tube": (
        "A {sided} chest tube is in place.",
        "{Sided}-sided pleural catheter is unchanged in position.",
        "A {sided} pigtail catheter is present.",
    ),
}
OBJECTS = (
    "A metallic object overlies the chest.",
    "Radiopaque foreign body, likely external to the patient.",
    "Jewelry projects over the chest.",
    "",
)

EXAMS = {
    "PA": ("CHEST (PA AND LAT)", "Chest radiograph", "CHEST (PA)", "CHEST PA"),
    "AP": ("CHEST (PORTABLE AP)", "Chest AP", "CHEST (AP)"),
    "AP supine": ("CHEST (PORTABLE AP)", "CHEST PORT. LINE PLACEMENT", "Supine chest radiograph"),
}
TECHNIQUES = {
    "PA": "Frontal view of the chest.",
    "AP": "Single portable AP view of the chest.",
    "AP supine": "Portable supine AP view of the chest.",
}
REASONS = (
    "cough and fever",
    "shortness of breath",
    "chest pain",
    "fall",
    "altered mental status",
    "preoperative evaluation",
    "hypoxia",
    "fever of unknown origin",
    "status post line placement",
    "weight loss",
    "dyspnea on exertion",
    "trauma",
    "sepsis",
    "leukocytosis",
    "syncope",
    "wheezing",
)
QUESTIONS = (
    "pneumonia",
    "pneumothorax",
    "effusion",
    "pulmonary edema",
    "interval change",
    "acute process",
    "infiltrate",
    "line position",
    "fracture",
    "mass",
)
