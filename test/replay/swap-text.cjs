// A webpack loader that changes one text of a module and fails when it is not there exactly once: "the flow as it is, but …".
module.exports = function swapText(source) {
  const { from, to } = this.getOptions();
  if (source.split(from).length !== 2) throw new Error(`${this.resourcePath} does not hold this text exactly once: ${from}`);
  return source.replace(from, () => to);
};
