import { DerReader } from '@yaoji/chaincode/core/fabric/der';

/** An element whose content is bytes, or elements when it is constructed or an extension's value. */
interface Node {
  tag: number;
  bytes: Uint8Array;
  children: Node[];
}

function parse(bytes: Uint8Array): Node[] {
  const reader = new DerReader(bytes);
  const nodes: Node[] = [];
  while (reader.has()) {
    const { tag, content } = reader.next();
    const opened = (tag & 0x20) !== 0 || (tag === 4 && (content[0] === 0x30 || content[0] === 3));
    nodes.push({ tag, bytes: content, children: opened ? parse(content) : [] });
  }
  return nodes;
}

function print({ tag, bytes, children }: Node): number[] {
  const content = children.length > 0 ? children.flatMap(print) : [...bytes];
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return [tag, ...length, ...content];
}

/** Every copy of the structure in which one constructed element was changed, by the path of that element. */
export function* eachChanged(
  der: Uint8Array,
  change: (children: Node[]) => void,
): Generator<[string, Uint8Array]> {
  const [root] = parse(der);
  function* visit(node: Node, path: string): Generator<[string, Uint8Array]> {
    if (node.children.length === 0) return;
    const kept = [...node.children];
    change(node.children);
    yield [path, new Uint8Array(print(root!))];
    node.children = kept;
    for (const [i, child] of kept.entries()) yield* visit(child, `${path}/${i}`);
  }
  yield* visit(root!, '');
}

export const NULL: Node = { tag: 5, bytes: new Uint8Array(), children: [] };
