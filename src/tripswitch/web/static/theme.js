// The theme that was chosen, before anything is drawn; without a choice the system's.
"use strict";
try {
  const chosen = localStorage.getItem("tripswitch-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* A browser that keeps nothing shows the system's theme. */ }
