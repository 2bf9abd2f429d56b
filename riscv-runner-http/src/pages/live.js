// Keeps the overview up to date. Without this script the page loads itself anew now and then.
"use strict";
(() => {
  const root = document.querySelector("[data-live]");
  const status = document.getElementById("live-status");
  if (!root || !status || !window.EventSource) return;

  const FALLBACK_MS = 15000;
  const say = (text) => {
    if (status.textContent !== text) status.textContent = text;
  };

  const focusable = "a[href], [tabindex]";

  // Takes over the parts of the page that changed, without moving what the reader looks at.
  const show = (html) => {
    const next = new DOMParser().parseFromString(html, "text/html");
    for (const part of next.querySelectorAll("[data-part]")) {
      const old = root.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (!old || old.innerHTML === part.innerHTML) continue;
      const focus = old.contains(document.activeElement) ? document.activeElement : null;
      const place = focus ? [...old.querySelectorAll(focusable)].indexOf(focus) : -1;
      const address = focus && focus.getAttribute("href");
      const scrolled = [...old.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
      old.replaceChildren(...part.childNodes);
      old.querySelectorAll(".scroll").forEach((box, n) => {
        if (scrolled[n]) [box.scrollLeft, box.scrollTop] = scrolled[n];
      });
      if (focus) {
        const candidates = [...old.querySelectorAll(focusable)];
        const same = address && candidates.find((one) => one.getAttribute("href") === address);
        const target = same || candidates[place];
        if (target) target.focus({ preventScroll: true });
      }
    }
  };

  const reload = async () => {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.statusText);
      show(await answer.text());
      say("Updated every 15 seconds");
    } catch {
      say("Not updated: the service does not answer");
    }
  };

  const connect = () => {
    const source = new EventSource(root.dataset.live);
    source.addEventListener("open", () => say("Live"));
    source.addEventListener("overview", (event) => {
      say("Live");
      show(event.data);
    });
    source.addEventListener("unavailable", (event) => say(`Not updated: ${event.data}`));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) {
        say("Not updated: connecting again");
        return;
      }
      // Refused, as when too many watch already: ask now and then instead.
      source.close();
      reload().finally(() => setTimeout(connect, FALLBACK_MS));
    });
    addEventListener("pagehide", () => source.close(), { once: true });
  };
  connect();
})();
