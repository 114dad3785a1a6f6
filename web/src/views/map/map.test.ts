import { describe, expect, it } from 'vitest';
import type { MapEdge, MapNode, NodeKind } from '../../api/types';
import { chooseShown, QUOTA } from './fold';
import { islandsOf, shelve } from './islands';
import { chooseLabels, covered } from './labels';
import { layoutMap, signatureOf, sizeOf } from './layout';
import { buildModel } from './model';
import { linkWidth, shapeOf } from './path';

const node = (id: string, kind: NodeKind = 'service', request_rate = 1): MapNode => ({
  id, name: id, kind, tags: {}, protocols: [], members: [id], requests: request_rate * 60, errors: 0, request_rate, error_ratio: 0, p50_us: 1, p99_us: 2, sparkline: [1, 2],
});
const edge = (client: string, server: string, request_rate = 1): MapEdge => ({
  id: `${client}→${server}`, client, server, protocols: ['HTTP1'], requests: request_rate * 60, client_errors: 0, server_errors: 0, timeouts: 0, errors: 0,
  request_rate, error_ratio: 0, p50_us: 1, p99_us: 2, observation_point: 's-p', connections: 1, bytes_rate: 0, sparkline: [],
});

const chain = () => buildModel([node('nginx', 'proxy'), node('shop'), node('stock'), node('redis', 'store')], [edge('nginx', 'shop'), edge('shop', 'stock'), edge('stock', 'redis')], null);

describe('layout', () => {
  it('runs from callers to stores', () => {
    const { positions } = layoutMap(chain(), 'right', false);
    const xs = ['nginx', 'shop', 'stock', 'redis'].map((id) => positions.get(id)!.x);
    expect(xs).toEqual([...xs].sort((a, b) => a - b));
    expect(new Set(xs).size).toBe(4);
  });
  it('is the same for the same cards, whatever their figures and order', () => {
    const a = buildModel([node('b', 'service', 5), node('a')], [edge('a', 'b', 9)], null);
    const b = buildModel([node('a', 'service', 70), node('b')], [edge('a', 'b', 1)], null);
    expect(signatureOf(a, 'right')).toBe(signatureOf(b, 'right'));
    expect([...layoutMap(a, 'right', false).positions].sort()).toEqual([...layoutMap(b, 'right', false).positions].sort());
  });
  it('survives cycles, self calls and lone cards', () => {
    const model = buildModel([node('a'), node('b'), node('alone'), node('db', 'store')], [edge('a', 'b'), edge('b', 'a'), edge('a', 'a'), edge('b', 'db')], null);
    const { positions } = layoutMap(model, 'right', false);
    expect([...positions.values()].every((p) => Number.isFinite(p.x) && Number.isFinite(p.y))).toBe(true);
  });
  it('sets parts that no link joins apart, the largest first', () => {
    const model = buildModel([node('b'), node('a'), node('z'), node('y'), node('x')], [edge('x', 'y'), edge('y', 'z'), edge('a', 'b')], null);
    expect(islandsOf(model).map((island) => island.cards.map((c) => c.id).join(''))).toEqual(['xyz', 'ab']);
    const { positions } = layoutMap(model, 'right', false);
    expect(positions.get('a')!.y).toBeGreaterThan(positions.get('x')!.y + sizeOf(false).height);
    expect(positions.get('a')!.x).toBe(positions.get('x')!.x);
  });
  it('is not joined by a silent caller that touches everything', () => {
    const silent = (client: string, server: string): MapEdge => ({ ...edge(client, server, 0), requests: 0 });
    const nodes = [node('localhost', 'world'), node('a'), node('b'), node('c'), node('d')];
    const model = buildModel(nodes, [edge('a', 'b'), edge('c', 'd'), silent('localhost', 'b'), silent('localhost', 'd')], null);
    expect(islandsOf(model).map((island) => island.cards.map((c) => c.id).join(' '))).toEqual(['a b localhost', 'c d']);
    expect(layoutMap(model, 'right', false).positions.size).toBe(5);
  });
  it('puts what outside only calls in with the callers', () => {
    const { positions } = layoutMap(buildModel([node('world', 'world'), node('web')], [edge('world', 'web')], null), 'right', false);
    expect(positions.get('world')!.x).toBeLessThan(positions.get('web')!.x);
  });
  it('never lets cards overlap', () => {
    for (const compact of [false, true]) {
      const nodes = Array.from({ length: 40 }, (_, i) => node(`n${i}`, i < 4 ? 'client' : i > 32 ? 'store' : 'service'));
      const edges = nodes.slice(1).map((n, i) => edge(`n${Math.floor(i / 3)}`, n.id));
      const places = [...layoutMap(buildModel(nodes, edges, null), 'right', compact).positions.values()];
      const { width, height } = sizeOf(compact);
      const clash = places.some((p, i) => places.some((q, k) => k > i && Math.abs(p.x - q.x) < width && Math.abs(p.y - q.y) < height));
      expect(clash).toBe(false);
    }
  });
});

describe('shelves', () => {
  const box = (width: number, height = 80) => ({ width, height });
  it('fill up before a new one begins', () => {
    expect(shelve([box(700), box(300), box(300), box(300)], 700, 100, 0, 50)).toEqual([{ x: 0, y: 0 }, { x: 0, y: 130 }, { x: 400, y: 130 }, { x: 0, y: 260 }]);
  });
  it('hold nothing taller than what began them', () => expect(shelve([box(100, 80), box(100, 200)], 700, 100, 0, 50)[1]).toEqual({ x: 0, y: 130 }));
});

describe('fold', () => {
  const many = Array.from({ length: 500 }, (_, i) => node(`s${i}`, 'service', i));
  it('shows everything when there are few', () => expect(chooseShown(many.slice(0, 59), [], [], null)).toBeNull());
  it('shows the busiest and what is selected', () => {
    const shown = chooseShown(many, [], ['s0'], null)!;
    expect(shown.has('s499')).toBe(true);
    expect(shown.has('s0')).toBe(true);
    expect(shown.size).toBe(QUOTA.service + 1);
  });
  it('does not swap cards for a small change of rate', () => {
    const before = chooseShown(many, [], [], null)!;
    const changed = many.map((n) => ({ ...n, request_rate: n.request_rate + (before.has(n.id) ? 0 : 20) }));
    expect(chooseShown(changed, [], [], before)).toEqual(before);
  });
  it('adds up what is folded', () => {
    const model = buildModel([node('a', 'client'), node('b'), node('c')], [edge('a', 'b', 2), edge('a', 'c', 3), edge('b', 'c', 9)], new Set(['a']));
    expect(model.cards.map((c) => c.name)).toEqual(['a', '+2 services']);
    expect(model.links).toHaveLength(1);
    expect(model.links[0]?.request_rate).toBe(5);
  });
});

describe('links', () => {
  it('grow with the logarithm of the rate', () => {
    expect(linkWidth(0)).toBe(1);
    expect(linkWidth(10)).toBeLessThan(linkWidth(1000));
    expect(linkWidth(1000) / linkWidth(1)).toBeLessThan(4);
  });
  it('point along the call, also against the flow', () => {
    const size = sizeOf(false);
    expect(shapeOf({ x: 0, y: 0 }, { x: 400, y: 0 }, size, [], 'right').angle).toBe(0);
    expect(shapeOf({ x: 400, y: 0 }, { x: 0, y: 0 }, size, [], 'right').angle).toBe(180);
    expect(shapeOf({ x: 0, y: 0 }, { x: 0, y: 400 }, size, [], 'down').angle).toBe(90);
  });
  it('have no label behind a card', () => {
    const card = [{ x: 0, y: 0 }];
    expect(covered({ x: 90, y: 40 }, card, sizeOf(false))).toBe(true);
    expect(covered({ x: 240, y: 40 }, card, sizeOf(false))).toBe(false);
  });
  it('have their label where they are level', () => {
    const [size, client] = [sizeOf(false), { x: 0, y: 0 }];
    const label = (y: number, via: number) => shapeOf(client, { x: 276, y }, size, [{ x: 228, y: via + 40 }], 'right').label;
    expect(label(0, 0)).toEqual({ x: 228, y: 40 });
    expect(label(58, 58)).toEqual({ x: 244, y: 98 });
    expect(label(58, 0)).toEqual({ x: 212, y: 40 });
  });
  it('have labels that do not overlap', () => {
    const links = chain().links;
    expect(chooseLabels(links, () => ({ x: 0, y: 0 })).size).toBe(1);
    expect(chooseLabels(links, (l) => ({ x: 0, y: links.indexOf(l) * 40 })).size).toBe(3);
  });
});
