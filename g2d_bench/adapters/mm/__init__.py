"""What the dense kinds share: runner, backbone and modules for mmseg and mmdet."""
