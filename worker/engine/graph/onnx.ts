import onnxProto from 'onnx-proto';
import { Graph } from './graph.ts';
import { widenedPerUse } from './widening.ts';
import type { Attribute, Node, StoredWeight, Value } from './graph.ts';
import type { DType, Tensor } from './tensor.ts';

const { onnx } = onnxProto;
const { FLOAT, FLOAT16, BFLOAT16, INT8, UINT8, INT32, INT64, UINT64, BOOL } = onnx.TensorProto.DataType;
const ELEMENT_TYPES: Record<DType, number> = {
  float32: FLOAT,
  float16: FLOAT16,
  bfloat16: BFLOAT16,
  int8: INT8,
  uint8: UINT8,
  uint4: 21,
  int32: INT32,
  int64: INT64,
  uint64: UINT64,
  bool: BOOL,
};

/** Opset 23 introduced RotaryEmbedding; it needs IR version 10. */
const OPSET = 23;
const IR_VERSION = 10;

/**
 * The graph as a serialised ONNX model. Weights stay where they are: the model names file, offset and length.
 * @param options.widenPerUse widen weights in half precision, 8 or 4 bits at each use, and not once
 */
export function encodeModel(graph: Graph, options: { readonly widenPerUse?: boolean } = {}): Uint8Array {
  const nodes = options.widenPerUse ? widenedPerUse(graph) : graph.nodes;
  const model = onnx.ModelProto.create({
    irVersion: IR_VERSION,
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: 'com.microsoft', version: 1 },
    ],
    producerName: 'fedbiot',
    graph: graphProto(graph, nodes, 'graph', (value) => value.name),
  });
  return onnx.ModelProto.encode(model).finish();
}

/** @param outerName names of the values of the enclosing graphs */
function graphProto(
  graph: Graph,
  nodes: readonly Node[],
  name: string,
  outerName: (value: Value) => string,
): onnxProto.onnx.IGraphProto {
  const outputNames = new Map(graph.outputs.map(({ name: output, value }) => [value, output]));
  const nameOf = (value: Value) => outputNames.get(value) ?? outerName(value);
  return {
    name,
    node: nodes.map((node) => nodeProto(node, nameOf)),
    input: graph.inputs.map((value) => valueInfo(value.name, value)),
    output: graph.outputs.map(({ name: output, value }) => valueInfo(output, value)),
    initializer: [
      ...[...graph.constants].map(([value, tensor]) => constantProto(value, tensor)),
      ...[...graph.weights].map(([value, stored]) => weightProto(value, stored)),
    ],
  };
}

function weightProto(
  { name, dtype, shape }: Value,
  { file, offset, bytes }: StoredWeight,
): onnxProto.onnx.ITensorProto {
  return {
    name,
    dataType: ELEMENT_TYPES[dtype],
    dims: shape.map(Number),
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: [
      { key: 'location', value: file },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: String(bytes) },
    ],
  };
}

function constantProto(value: Value, tensor: Tensor): onnxProto.onnx.ITensorProto {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return {
    name: value.name,
    dataType: ELEMENT_TYPES[tensor.dtype],
    dims: [...tensor.shape],
    rawData: new Uint8Array(buffer, byteOffset, byteLength),
  };
}

function nodeProto(
  { operator, domain, inputs, outputs, attributes }: Node,
  nameOf: (value: Value) => string,
): onnxProto.onnx.INodeProto {
  return {
    name: outputs[0]!.name,
    opType: operator,
    domain,
    input: inputs.map((input) => (input ? nameOf(input) : '')),
    output: outputs.map(nameOf),
    attribute: Object.entries(attributes).map(([name, attribute]) => attributeProto(name, attribute, nameOf)),
  };
}

function attributeProto(
  name: string,
  attribute: Attribute,
  nameOf: (value: Value) => string,
): onnxProto.onnx.IAttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  if (typeof attribute === 'number') return { name, type: AttributeType.INT, i: attribute };
  if (typeof attribute === 'string')
    return { name, type: AttributeType.STRING, s: new TextEncoder().encode(attribute) };
  if (attribute instanceof Graph)
    return { name, type: AttributeType.GRAPH, g: graphProto(attribute, attribute.nodes, name, nameOf) };
  if ('float' in attribute) return { name, type: AttributeType.FLOAT, f: attribute.float };
  return { name, type: AttributeType.INTS, ints: [...attribute] };
}

function valueInfo(name: string, { dtype, shape }: Value): onnxProto.onnx.IValueInfoProto {
  const dim = shape.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d }));
  return { name, type: { tensorType: { elemType: ELEMENT_TYPES[dtype], shape: { dim } } } };
}
