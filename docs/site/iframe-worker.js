// The site's search runs in a worker. A browser gives none to a page that was opened from a disk; there a hidden
// frame takes its place. The name of this file tells the theme that nothing needs to be fetched for it.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.addEventListener("load", () => this.start(frame.contentWindow, new URL(url, location.href)), { once: true });
      document.body.append(frame);
    }
    async start(inside, url) {
      const load = (source) => new Promise((resolve, reject) => {
        const script = inside.document.createElement("script");
        script.src = source;
        script.onload = resolve;
        script.onerror = reject;
        inside.document.body.append(script);
      });
      inside.importScripts = async (...sources) => { for (const source of sources) await load(source); };
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      await load(url);
      const waiting = this.waiting;
      this.waiting = null;
      this.postMessage = (data) => inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      waiting.forEach(this.postMessage);
    }
    postMessage(data) {
      this.waiting.push(data);
    }
  };
}
