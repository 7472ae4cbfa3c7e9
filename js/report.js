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

function show(node, output) {
  if (!output?.text) return
  const widget = node.widgets?.find((widget) => widget.name === NAME) ?? reportWidget(node)
  widget.element.value = [output.text].flat().join("\n")
  const [width, height] = node.computeSize()
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)])
}

// Where the page keeps a node's output: under "12", in a subgraph under "<its uuid>:12".
function nodeAt(locator) {
  const [id, subgraph] = locator.split(":").reverse()
  const graph = subgraph ? app.rootGraph.subgraphs.get(subgraph) : app.rootGraph
  return graph?.getNodeById(id)
}

app.registerExtension({
  name: "StoryMem.Report",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("StoryMem")) return
    const before = nodeType.prototype.onExecuted
    nodeType.prototype.onExecuted = function (output) {
      before?.apply(this, arguments)
      show(this, output)
    }
  },
  // Another tab, an undo or a job of the history has made the nodes anew.
  onNodeOutputsUpdated(outputs) {
    for (const [locator, output] of Object.entries(outputs)) {
      const node = nodeAt(locator)
      if (node?.type?.startsWith("StoryMem")) show(node, output)
    }
  },
})
