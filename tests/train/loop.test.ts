import { expect, test } from 'vitest';
import { eventsOf, filesOf, jobAt, train, usePlace } from './run.ts';

const place = usePlace();

test('first', async () => {
  const t = Date.now();
  const job = jobAt(place, { preview: { every: 3, steps: 2, guidance: 2 } });
  const a = await train(place, job);
  console.log(Date.now() - t);
  const b = await train(place, job);
  console.log(Date.now() - t);
  console.log(JSON.stringify(a.events, null, 0).slice(0, 4000));
  console.log(filesOf(a.folder), eventsOf(a.events, 'step').length);
  expect(filesOf(b.folder)).toEqual(filesOf(a.folder));
});
