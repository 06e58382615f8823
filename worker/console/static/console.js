// Line numbers beside the editor, and "go to line" from a problem. All else works without a script.
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
