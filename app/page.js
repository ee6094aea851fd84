// What the page does in the browser alone: paste, keys on the Rate tab, sorting, and descriptions for charts.
(() => {
  const visible = (element) => element && element.offsetParent !== null;
  const typing = (element) =>
    element && (element.isContentEditable || element.tagName === "TEXTAREA" ||
      (element.tagName === "INPUT" && ["text", "number", "search"].includes(element.type)));

  // A pasted image goes to the first free file input of the tab that is open.
  document.addEventListener("paste", (event) => {
    const images = [...(event.clipboardData?.files || [])].filter((file) => file.type.startsWith("image/"));
    if (!images.length || typing(event.target)) return;
    const inputs = [...document.querySelectorAll(".intake")].filter(visible)
      .map((block) => block.querySelector("input[type=file]")).filter(Boolean);
    if (!inputs.length) return;
    const transfer = new DataTransfer();
    // Browsers call every pasted image image.png.
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
    images.forEach((file, n) => {
      const name = file.name === "image.png" ? `pasted ${time}${n ? ` ${n + 1}` : ""}.png` : file.name;
      transfer.items.add(new File([file], name, { type: file.type }));
    });
    inputs[0].files = transfer.files;
    inputs[0].dispatchEvent(new Event("change", { bubbles: true }));
    event.preventDefault();
  });

  // In a choice of models that takes any name, Enter takes what was typed. Gradio would take the entry of its list that is marked, which
  // the visitor need not have marked: only the arrow keys do. Leaving the field makes Gradio take its text.
  let marked = false;
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(".takes-any input")) return;
    if (["ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) marked = true;
    else if (event.key !== "Enter") marked = false;
    else if (!marked) {
      event.stopImmediatePropagation();
      event.preventDefault();
      event.target.blur();
    }
  }, true);
  document.addEventListener("focusin", () => { marked = false; });

  // Keys 1 to 5 choose a word, Enter submits and goes on.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const words = document.querySelectorAll("#rate-word input[type=radio]");
    if (!words.length || !visible(words[0].closest("label"))) return;
    if (event.key >= "1" && event.key <= "5" && !words[0].disabled) {
      words[Number(event.key) - 1].focus();
      words[Number(event.key) - 1].click();
      event.preventDefault();
    } else if (event.key === "Enter" && !["BUTTON", "A", "SUMMARY"].includes(event.target.tagName)) {
      const button = ["rate-submit", "rate-next"].map((id) => document.getElementById(id)).find(visible);
      if (button) {
        button.click();
        event.preventDefault();
      }
    }
  });

  // The Rate tab has gone on when something with a higher turn appears: focus goes to the words of a new image, else to what is new.
  let turn = 0;
  const follow = () => {
    const newest = [...document.querySelectorAll("[data-turn]")].sort((a, b) => b.dataset.turn - a.dataset.turn)[0];
    if (!newest || Number(newest.dataset.turn) <= turn) return;
    turn = Number(newest.dataset.turn);
    const image = newest.querySelector(".to-rate img");
    image?.decode().catch(() => {}).then(() => {
      const stage = document.getElementById("rate-stage"), { top, bottom } = stage.getBoundingClientRect();
      if (top < 0 || bottom > innerHeight) stage.scrollIntoView();
    });
    newest.tabIndex = -1;
    settle(() => (image ? document.querySelector("#rate-word input:enabled") : newest), 120);
  };

  // Gradio shows and enables things some frames after it has put them on the page; a focus that comes too early is lost.
  const settle = (find, frames, held = 0) => {
    const target = find();
    if (document.activeElement === target) held += 1;
    else if (held && document.activeElement !== document.body) return;
    else if (target) target.focus({ preventScroll: true });
    if (held < 20 && frames) requestAnimationFrame(() => settle(find, frames - 1, held));
  };

  // A button that copies an address of this page.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const address = new URL(button.dataset.copy, document.baseURI).href;
    if (navigator.clipboard) await navigator.clipboard.writeText(address);
    else prompt("Copy this address:", address);  // browsers have no clipboard for pages without TLS
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // A heading's button sorts its table by that column, and turns the order round when pressed again.
  document.addEventListener("click", (event) => {
    const heading = event.target.closest?.("table.sortable th");
    if (!heading || !event.target.closest("button")) return;
    const table = heading.closest("table");
    const headings = [...heading.parentElement.children];
    // Headings may span columns, as the one over thumbnail and name: the last of these is what sorts.
    const column = headings.slice(0, headings.indexOf(heading) + 1).reduce((sum, one) => sum + one.colSpan, -1);
    const down = heading.getAttribute("aria-sort") === "none" ? heading.dataset.kind === "number"
      : heading.getAttribute("aria-sort") === "ascending";
    const value = (row) => {
      const given = row.children[column].dataset.value;
      return heading.dataset.kind === "number" ? Number(given) : given;
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = typeof x === "number" ? x - y : x.localeCompare(y);
      return down ? -order : order;
    });
    headings.forEach((one) => one.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  });

  // A chart is one image to a screen reader, described by the words under it.
  const describe = () => {
    document.querySelectorAll(".chart[id] .js-plotly-plot").forEach((plot) => {
      const words = document.getElementById(plot.closest(".chart").id + "-words");
      if (!words || plot.getAttribute("aria-label") === words.textContent) return;
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", words.textContent);
    });
  };
  // Each chart can be saved as a file: by plotly's own button, which is hidden, since it says nothing to who does not know it.
  const offerFiles = () => {
    document.querySelectorAll(".chart[id]").forEach((block) => {
      const plot = block.querySelector(".js-plotly-plot");
      if (!plot || block.querySelector(".chart-files")) return;
      const row = document.createElement("div");
      row.className = "chart-files";
      ["PNG", "SVG"].forEach((format) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = `Save as ${format}`;
        button.addEventListener("click", () => {
          const drawn = block.querySelector(".js-plotly-plot");
          drawn._context.toImageButtonOptions = { format: format.toLowerCase(), filename: block.id, scale: 2 };
          [...drawn.querySelectorAll(".modebar-btn")].find((one) => /download/i.test(one.dataset.title || one.getAttribute("aria-label") || ""))
            ?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
        });
        row.append(button);
      });
      block.append(row);
    });
  };
  // The table's row of the image in the card is marked.
  const markRow = () => {
    const shown = document.querySelector("[data-shown]")?.dataset.shown;
    document.querySelectorAll("#score-table tr[data-key]").forEach((row) => {
      const now = String(row.dataset.key === shown);
      if (row.getAttribute("aria-selected") !== now) row.setAttribute("aria-selected", now);
    });
  };

  // A press on the card's image shows its pixels one to one, and another the whole image again.
  const zoom = (event) => {
    const button = event.target.closest?.(".zoom");
    if (button) button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  };
  document.addEventListener("click", zoom);

  new MutationObserver(() => { describe(); follow(); offerFiles(); markRow(); }).observe(document.documentElement, { childList: true, subtree: true });
})();
