// Runs before the page is drawn, so that a stored choice never flashes in the other colours.
// "auto" follows the system; storage may be forbidden, and then the system decides.
(() => {
  try {
    const choice = localStorage.getItem("qcn-theme");
    if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
  } catch {
    // No storage: nothing to remember.
  }
})();
