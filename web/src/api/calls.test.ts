import { expect, it } from 'vitest';
import { overBy } from './calls';

const starts = [0, 10, 20, 30];

it('leaves out what is still being counted', () => {
  expect(overBy(37, starts, 10, 37)).toBe(3);
  expect(overBy(40, starts, 10, 41)).toBe(3);
  expect(overBy(40, starts, 10, 1000)).toBe(4);
});
it('keeps what there is of a short range', () => expect(overBy(5, [0, 10], 10, 5)).toBe(2));
