// What a node has to say (ui.PreviewText), on the node: the page keeps such texts but shows them on PreviewAny only.

import { app } from "../../scripts/app.js"

const NAME = "storymem_report"
const HEIGHT = 64

function reportWidget(node) {
  const element = document.createElement("textarea")
  element.className = "comfy-multiline-input"
  element.readOnly = true
  const widget = node.addDOMWidget(NAME, "report", element, { serialize: false, getMinHeight: () => HEIGHT })
  widget.serialize = false // neither in the prompt (the option) nor in a saved workflow
  return widget
}

function show(node, text) {
  const widget = node.widgets?.find((widget) => widget.name === NAME) ?? reportWidget(node)
  widget.element.value = text
  const [width, height] = node.computeSize()
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)])
}

app.registerExtension({
  name: "StoryMem.Report",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("StoryMem")) return
    const before = nodeType.prototype.onExecuted
    nodeType.prototype.onExecuted = function (output) {
      before?.apply(this, arguments)
      if (output?.text) show(this, [output.text].flat().join("\n"))
    }
  },
})
