// Without it everything is there but the buttons. It opens what is folded before it is printed.
(function () {
  "use strict";
  var said = document.getElementById("said");
  function select(node) {
    var range = document.createRange();
    range.selectNodeContents(node);
    var chosen = window.getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
  }
  function copied(button, done) {
    button.textContent = done ? "Copied" : "Selected: copy it with the keyboard";
    said.textContent = button.textContent;
    window.setTimeout(function () { button.textContent = "Copy"; said.textContent = ""; }, 2500);
  }
  function copy(button, node) {
    function old() {
      select(node);
      var done = false;
      try { done = document.execCommand("copy"); } catch (error) { done = false; }
      copied(button, done);
    }
    if (navigator.clipboard && navigator.clipboard.writeText) {
      navigator.clipboard.writeText(node.textContent).then(function () { copied(button, true); }, old);
    } else { old(); }
  }
  document.querySelectorAll(".command").forEach(function (block) {
    var button = block.querySelector("button");
    button.hidden = false;
    button.addEventListener("click", function () { copy(button, block.querySelector("code")); });
  });
  var folded = [];
  window.addEventListener("beforeprint", function () {
    folded = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    folded.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () { folded.forEach(function (one) { one.open = false; }); });
})();
