// What scrolls sideways can be reached with the keyboard, and so scrolled with its arrows.
function reach() {
  for (const box of document.querySelectorAll(".table-wrapper, div.math, pre")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true); // what was folded has no width before

// The theme has two landmarks of one kind: each gets a name.
addEventListener("load", () => {
  document.querySelector(".sidebar-drawer").ariaLabel = "The course";
  document.querySelector(".toc-drawer").ariaLabel = "This page";
  reach();
});

// Paper shows the outputs that are folded on the screen.
for (const when of ["beforeprint", "afterprint"])
  addEventListener(when, () => {
    for (const output of document.querySelectorAll("details.hide")) output.open = when === "beforeprint";
  });

// Every listing has a button that copies it.
addEventListener("load", () => {
  for (const listing of document.querySelectorAll("div.highlight")) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy", textContent: "Copy" });
    button.addEventListener("click", async () => {
      const code = listing.querySelector("pre");
      try {
        await navigator.clipboard.writeText(code.innerText);
      } catch { // pages without https have no clipboard
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    if (!listing.closest(".output")) listing.append(button);
  }
});
