// Line numbers beside the editor, "go to line" from a problem, keys, and copying an id. All else works without a script.
(function () {
  "use strict";

  function number(editor, gutter) {
    var lines = editor.value.split("\n").length;
    if (gutter.dataset.lines !== String(lines)) {
      var text = "";
      for (var line = 1; line <= lines; line++) text += line + "\n";
      gutter.textContent = text;
      gutter.dataset.lines = String(lines);
    }
    gutter.scrollTop = editor.scrollTop;
  }

  function go(editor, line, column) {
    var rows = editor.value.split("\n"), at = 0;
    for (var row = 0; row < Math.min(line, rows.length) - 1; row++) at += rows[row].length + 1;
    // Columns are counted in characters, a textarea counts in UTF-16 units.
    var before = Array.from(rows[Math.min(line, rows.length) - 1] || "").slice(0, column - 1).join("");
    editor.focus();
    editor.setSelectionRange(at + before.length, at + before.length);
    var height = parseFloat(getComputedStyle(editor).lineHeight) || 20;
    editor.scrollTop = Math.max(0, (line - 5) * height);
  }

  function show(root) {
    root.querySelectorAll("button.go").forEach(function (button) { button.hidden = false; });
  }

  document.addEventListener("DOMContentLoaded", function () {
    var editor = document.getElementById("text");
    if (!editor) return;
    var gutter = document.querySelector(".gutter"), check = document.getElementById("check");
    var update = function () { number(editor, gutter); };
    editor.addEventListener("input", update);
    editor.addEventListener("scroll", update);
    update();
    show(check);
    check.addEventListener("click", function (event) {
      var button = event.target.closest("button.go");
      if (button) go(editor, Number(button.dataset.line), Number(button.dataset.column));
    });
    document.body.addEventListener("htmx:afterSwap", function () { show(check); });
  });
})();

// Keys: / search, j and k rows, Enter opens, x ticks, c copies, ? help.
(function () {
  "use strict";
  var current = null;  // the address of the chosen row: a live update replaces the row itself

  function rows() { return Array.from(document.querySelectorAll("main tbody tr, main .headlines > li")).filter(function (row) { return row.querySelector("a") && row.offsetParent !== null; }); }
  function address(row) { var link = row.querySelector("th a, h2 a, h3 a") || row.querySelector("a"); return link.getAttribute("href"); }

  function mark() {
    rows().forEach(function (row) { row.classList.toggle("chosen-row", current !== null && address(row) === current); });
  }

  function move(step) {
    var all = rows(), link = document.querySelector(step > 0 ? "main a[rel=next]" : "main a[rel=prev]");
    if (!all.length && link) location.href = link.href;
    var at = all.findIndex(function (row) { return address(row) === current; });
    var next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + step))];
    if (!next) return;
    current = address(next);
    mark();
    next.scrollIntoView({ block: "nearest" });
  }

  function chosen() { return rows().find(function (row) { return address(row) === current; }); }

  function copy(text, done) {
    if (navigator.clipboard) {
      navigator.clipboard.writeText(text).then(done, function () {});
      return;
    }
    // A page that another machine loads without TLS has no clipboard of its own.
    var area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    if (document.execCommand("copy")) done();
    area.remove();
  }

  function identity(row) {
    var id = row.querySelector("[data-copy]");
    return id ? id.dataset.copy : (row.querySelector(".code") || row.querySelector("a")).textContent.trim();
  }

  function count() {
    var shown = document.querySelector(".many .chosen");
    if (!shown) return;
    var ticked = document.querySelectorAll(".many input[name=id]:checked").length;
    shown.hidden = !ticked;
    shown.textContent = " (" + ticked + ")";
    document.querySelector(".many input[value=" + (ticked ? "ticked" : "all") + "]").checked = true;
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, dialog[open]")) return;
    var row = chosen(), box = row && row.querySelector("input[type=checkbox]");
    if (event.key === "/") {
      var field = document.querySelector("main [role=search] input:not([type=hidden])");
      if (field) field.focus(); else location.href = "/search";
    } else if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
    else if (event.key === "x" && box) { box.checked = !box.checked; count(); }
    else if (event.key === "c" && row) copy(identity(row), function () { row.classList.add("copied"); setTimeout(function () { row.classList.remove("copied"); }, 600); });
    else if (event.key === "Enter" && row && !event.target.closest("a, button, summary, input")) location.href = current;
    else if (event.key === "?") document.getElementById("keys").showModal();
    else return;
    event.preventDefault();
  });

  document.addEventListener("change", function (event) { if (event.target.name === "id") count(); });
  document.addEventListener("click", function (event) {
    var button = event.target.closest("button.copy");
    if (button) copy(button.dataset.copy, function () { button.textContent = "copied"; });
    var all = event.target.closest("a.all");
    if (all) {
      event.preventDefault();
      var boxes = Array.from(document.querySelectorAll(".many input[name=id]")), some = boxes.some(function (box) { return !box.checked; });
      boxes.forEach(function (box) { box.checked = some; });
      all.textContent = some ? "none" : "all";
      count();
    }
  });
  document.addEventListener("DOMContentLoaded", function () {
    document.getElementById("keys-hint").hidden = false;
    document.querySelectorAll("button.copy").forEach(function (button) { button.hidden = false; });
    document.body.addEventListener("htmx:afterSwap", mark);
    count();
  });
})();
