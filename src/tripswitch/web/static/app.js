// Keeps a page fresh. The server renders; this asks for the live part again when the stream says
// that something changed, and puts in only the parts that differ, so that nothing a person is
// doing (an open detail, a form being filled, a scrolled table) is lost.
"use strict";

(() => {
  const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy("fragments", { createHTML: (html) => html })
    : { createHTML: (html) => html };
  const live = document.getElementById("live");
  const isLive = live !== null && live.dataset.live === "1";
  const POLL_MS = 15000;
  let tag = isLive ? live.dataset.tag : null;
  let asking = false;
  let askAgain = false;
  let newest = null;
  let poll = null;

  // --- the live part ---------------------------------------------------------------------------

  function fragmentAddress() {
    const address = new URL(location.href);
    address.searchParams.set("fragment", "1");
    address.hash = "";
    return address;
  }

  async function refresh() {
    if (!isLive || document.hidden) { askAgain = document.hidden; return; }
    if (asking) { askAgain = true; return; }
    asking = true;
    try {
      const headers = tag === null ? {} : { "if-none-match": tag };
      const answer = await fetch(fragmentAddress(), { headers, cache: "no-store" });
      if (answer.status === 200) {
        tag = answer.headers.get("etag");
        put(await answer.text());
      }
    } catch {
      say("off", "not live");
    } finally {
      asking = false;
      if (askAgain && !document.hidden) { askAgain = false; setTimeout(refresh, 250); }
    }
  }

  function put(html) {
    const fresh = document.createElement("div");
    fresh.innerHTML = policy.createHTML(html);
    const before = parts(live);
    const after = parts(fresh);
    const isSame = before.length === after.length
      && before.every((part, at) => part.dataset.part === after[at].dataset.part);
    if (isSame) {
      before.forEach((part, at) => { exchange(part, after[at]); });
    } else if (!isBusy(live)) {
      keepOpen(live, fresh);
      const focused = focusKey();
      live.replaceChildren(...fresh.childNodes);
      focusAgain(focused);
    }
  }

  function parts(root) { return [...root.querySelectorAll("[data-part]")]; }

  function exchange(part, fresh) {
    keepOpen(part, fresh);
    if (part.outerHTML === fresh.outerHTML || isBusy(part)) return;
    const focused = part.contains(document.activeElement) ? focusKey() : null;
    const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    part.replaceWith(fresh);
    fresh.querySelectorAll(".scroll").forEach((each, at) => { each.scrollLeft = scrolled[at] ?? 0; });
    focusAgain(focused);
  }

  // A form that somebody is filling in is left alone until they are done.
  function isBusy(root) {
    const active = document.activeElement;
    const types = active !== null && root.contains(active) && active.matches("input, textarea");
    const filled = [...root.querySelectorAll("form input:not([type=hidden]):not([type=search])")];
    return types || filled.some((each) => each.value !== each.defaultValue);
  }

  function keepOpen(before, after) {
    const old = [...before.querySelectorAll("details")];
    [...after.querySelectorAll("details")].forEach((each, at) => {
      const known = each.id === "" ? old[at] : old.find((one) => one.id === each.id);
      if (known !== undefined) each.open = known.open;
    });
  }

  function focusKey() {
    const active = document.activeElement;
    if (active === null || active === document.body || !live.contains(active)) return null;
    const kind = active.tagName;
    const all = [...live.querySelectorAll(kind)];
    return { kind, at: all.indexOf(active), id: active.id };
  }

  function focusAgain(key) {
    if (key === null) return;
    const found = key.id !== "" ? document.getElementById(key.id) : live.querySelectorAll(key.kind)[key.at];
    if (found) found.focus({ preventScroll: true });
  }

  // --- the stream ------------------------------------------------------------------------------

  function say(state, words) {
    const lamp = document.getElementById("live-state");
    if (lamp === null || lamp.dataset.state === state) return;
    lamp.dataset.state = state;
    document.getElementById("live-words").textContent = words;
  }

  function listen() {
    const stream = new EventSource("/v1/stream");
    stream.addEventListener("open", () => {
      say("on", "live");
      if (poll !== null) { clearInterval(poll); poll = null; }
    });
    stream.addEventListener("changed", (event) => {
      const told = JSON.parse(event.data);
      headline(told);
      refresh();
    });
    stream.addEventListener("error", () => {
      say("off", "not live");
      // Where the stream is refused for good (too many browsers), the page asks now and then.
      if (poll === null) poll = setInterval(refresh, POLL_MS);
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 30000);
    });
  }

  function headline(told) {
    const count = document.getElementById("open-count");
    if (count !== null) {
      count.hidden = told.open === 0;
      count.firstChild.textContent = String(told.open);
    }
    const title = document.title.replace(/^\(\d+\) /, "");
    document.title = told.open > 0 ? `(${told.open}) ${title}` : title;
    const id = told.newest === null ? "" : told.newest.id;
    if (newest !== null && id !== "" && id !== newest) {
      document.getElementById("announce").textContent = `New incident: ${told.newest.why}`;
      const notice = document.getElementById("new-incident");
      if (notice !== null && location.pathname !== "/") {
        const link = notice.querySelector("a");
        link.href = `/incidents/${encodeURIComponent(id)}`;
        link.textContent = `New incident: ${told.newest.why}`;
        notice.hidden = false;
      }
    }
    newest = id;
  }

  // --- buttons ---------------------------------------------------------------------------------

  async function copy(text, area) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      if (area === null) return false;
      area.focus();
      area.select();
      return document.execCommand("copy");
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button === null) return;
    if (button.id === "theme") {
      const chosen = document.documentElement.dataset.theme;
      const isDark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      const next = isDark ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("tripswitch-theme", next); } catch { /* Shown, not kept. */ }
    } else if (button.dataset.copyFrom || button.dataset.copy) {
      const area = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom) : null;
      const done = await copy(area === null ? button.dataset.copy : area.value, area);
      document.getElementById("announce").textContent = done ? "Copied." : "Select the text and copy it.";
      button.classList.toggle("done", done);
      setTimeout(() => button.classList.remove("done"), 2000);
    }
  });

  // --- explanations: kept inside the window ----------------------------------------------------

  function place(event) {
    const term = event.target instanceof Element ? event.target.closest(".term") : null;
    const tip = term === null ? null : term.querySelector(".tip");
    if (tip === null) return;
    const at = term.getBoundingClientRect();
    tip.style.margin = "0";
    const { width, height } = tip.getBoundingClientRect();
    const below = at.bottom + 6;
    tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
    tip.style.top = `${below + height > innerHeight ? Math.max(8, at.top - height - 6) : below}px`;
  }
  document.addEventListener("mouseover", place);
  document.addEventListener("focusin", place);

  // A form is sent once: a second click while the answer is awaited does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent === "1") { event.preventDefault(); return; }
    if (form.method === "post") form.dataset.sent = "1";
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement instanceof HTMLElement
        && document.activeElement.classList.contains("term")) document.activeElement.blur();
  });

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

  listen();
})();
