import { expect, test } from 'vitest';
import { percentDecode } from '../../src/lib/percent.ts';

test.each([
  ['a%20b%3A', 'a b:'],
  ['%C3%A9', 'é'],
  ['a+b', 'a+b'],
  ['100%', '100%'],
  ['%zz%20', '%zz%20'],
  ['%ff', '%ff'],
])('%j decodes to %j', (text, decoded) => {
  expect(percentDecode(text)).toBe(decoded);
});
