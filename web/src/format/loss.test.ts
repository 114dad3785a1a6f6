import { expect, test } from 'vitest';
import { missingOf } from './loss';

test('each cause is of one kind', () => {
  const loss = [{ cause: 'ring_full', count: 1 }, { cause: 'log_shed', count: 20 }, { cause: 'payload_shed', count: 300 }, { cause: 'sequence_overlap', count: 4000 }];
  expect(missingOf(loss)).toEqual({ lost: 1, unlogged: 20, inPart: 4300 });
});
