import { expect, it } from 'vitest';
import { hash, SERVICE_COLOURS, serviceColour } from './serviceColour';

it('is stable', () => {
  // The published test vector of FNV-1a: colours must not change between releases.
  expect(hash('a')).toBe(0xe40c292c);
  expect(serviceColour('cart')).toBe(serviceColour('cart'));
});

it('uses the whole palette', () => {
  const used = new Set(Array.from({ length: 200 }, (_, i) => serviceColour(`service-${i}`)));
  expect(used.size).toBe(SERVICE_COLOURS);
});
