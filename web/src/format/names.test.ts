import { expect, it } from 'vitest';
import { cutMiddle } from './names';

const perLetter = (text: string): number => Array.from(text).length;

it('keeps names that fit', () => expect(cutMiddle('nginx', 10, perLetter)).toBe('nginx'));
it('cuts the middle and keeps the end', () => expect(cutMiddle('checkout-cart-worker-7f9c', 16, perLetter)).toBe('checkout…er-7f9c'));
it('fits the room exactly or stays below it', () => {
  for (let room = 9; room < 30; room++) expect(perLetter(cutMiddle('a-really-long-name-of-a-service', room, perLetter))).toBeLessThanOrEqual(room);
});
