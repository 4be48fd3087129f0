// Widgets without a kernel: require.js finds its modules beside itself, and the widget manager,
// which knows MathJax 2, finds the one call it makes of it.
requirejs.config({ baseUrl: new URL("vendor/widgets/", document.currentScript.src).href });
window.addEventListener("load", () => {
  const typeset = (call) => call?.[2] && window.MathJax?.typesetPromise?.([call[2]]);
  window.MathJax ??= {};
  window.MathJax.Hub ??= { Queue: typeset };
});
