import { describe, expect, test } from 'vitest';
import { CodedError } from '../../src/lib/errors.ts';
import { seededRandom } from '../../src/load/target/random.ts';
import { parseSettings, type SettingName } from '../../src/load/target/settings.ts';

function settings(texts: Partial<Record<SettingName, string>>, seed = 1) {
  return parseSettings(texts, seededRandom(seed));
}

function latencies(text: string, count = 20_000): number[] {
  const draw = settings({ latency: text }).latencyMs!;
  return Array.from({ length: count }, () => draw()).sort((a, b) => a - b);
}

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const quantile = (sorted: number[], part: number): number => sorted[Math.floor(part * (sorted.length - 1))]!;

describe('latency', () => {
  test('a duration is constant', () => {
    expect(new Set(latencies('10ms', 50))).toEqual(new Set([10]));
    expect(settings({ latency: '0ms' }).latencyMs).toBeNull();
  });

  test('uniform lies between its ends and fills the range', () => {
    const drawn = latencies('uniform:5ms-20ms');
    expect(drawn[0]).toBeGreaterThanOrEqual(5);
    expect(drawn.at(-1)).toBeLessThanOrEqual(20);
    expect(mean(drawn)).toBeCloseTo(12.5, 0);
  });

  test('normal has its mean and deviation and is never negative', () => {
    const drawn = latencies('normal:20ms,5ms');
    expect(Math.abs(mean(drawn) - 20)).toBeLessThan(0.2);
    expect(Math.abs(quantile(drawn, 0.8413) - 25)).toBeLessThan(0.3);
    expect(latencies('normal:1ms,5ms')[0]).toBe(0);
  });

  test('exp has its mean, and its median at mean × ln 2', () => {
    const drawn = latencies('exp:10ms');
    expect(Math.abs(mean(drawn) - 10)).toBeLessThan(0.3);
    expect(Math.abs(quantile(drawn, 0.5) - 10 * Math.LN2)).toBeLessThan(0.3);
  });

  test('lognormal has its median and its 99th percentile', () => {
    const drawn = latencies('lognormal:20ms,100ms', 100_000);
    expect(Math.abs(quantile(drawn, 0.5) - 20)).toBeLessThan(0.4);
    expect(Math.abs(quantile(drawn, 0.99) - 100)).toBeLessThan(5);
  });
});

describe('shares', () => {
  test('statuses come in their proportion, whatever the shares sum to', () => {
    for (const status of ['200:0.9,503:0.1', '200:9,503:1']) {
      const draw = settings({ status }).status!;
      const failed = Array.from({ length: 20_000 }, () => draw()).filter((code) => code === 503).length;
      expect(Math.abs(failed / 20_000 - 0.1)).toBeLessThan(0.01);
    }
  });

  test('failures take their share of all requests, a bare name takes all', () => {
    const draw = settings({ error: 'reset:0.2,stall:0.1' }).failure!;
    const drawn = Array.from({ length: 20_000 }, () => draw());
    const part = (kind: string | null): number => drawn.filter((found) => found === kind).length / drawn.length;
    expect(Math.abs(part('reset') - 0.2)).toBeLessThan(0.01);
    expect(Math.abs(part('stall') - 0.1)).toBeLessThan(0.01);
    expect(Math.abs(part(null) - 0.7)).toBeLessThan(0.01);
    expect(settings({ error: 'close' }).failure!()).toBe('close');
    expect(settings({ error: 'none' }).failure).toBeNull();
  });

  test('the same seed draws the same, another one does not', () => {
    const draws = (seed: number): number[] => {
      const draw = settings({ latency: 'exp:10ms' }, seed).latencyMs!;
      return Array.from({ length: 20 }, () => draw());
    };
    expect(draws(1)).toEqual(draws(1));
    expect(draws(1)).not.toEqual(draws(2));
  });
});

describe('what is not given', () => {
  test('is taken from the base', () => {
    const base = settings({ size: '10KB', slow: '1s' });
    expect(parseSettings({ slow: '2s' }, seededRandom(1), base)).toMatchObject({ sizeBytes: 10_000, slowMs: 2000 });
  });
});

describe('a wrong setting is named, with what was expected and what was found', () => {
  test.each<[SettingName, string]>([
    ['status', 'teapot'],
    ['status', '199'],
    ['status', '600'],
    ['status', '200:x'],
    ['status', '200:0'],
    ['status', '200:0.5:1'],
    ['status', ''],
    ['latency', '10'],
    ['latency', '11m'],
    ['latency', 'uniform:5ms'],
    ['latency', 'uniform:20ms-5ms'],
    ['latency', 'normal:20ms'],
    ['latency', 'exp:1ms,2ms'],
    ['latency', 'lognormal:0ms,5ms'],
    ['latency', 'lognormal:20ms,5ms'],
    ['latency', 'pareto:5ms,1ms'],
    ['pause', '1s'],
    ['pause', '2s/1s'],
    ['pause', '1s/2s/3s'],
    ['pause', 'often'],
    ['size', '-1'],
    ['size', '65MiB'],
    ['size', 'big'],
    ['slow', '1'],
    ['error', 'explode'],
    ['error', 'reset:0.6,close:0.5'],
    ['error', 'reset:-0.1'],
  ])('%s=%s', (name, text) => {
    const parse = (): unknown => settings({ [name]: text });
    expect(parse).toThrow(CodedError);
    expect(parse).toThrow(new RegExp(`^${name}: expected .+, found "${text}"`));
  });

  test('all of them at once', () => {
    const error = (() => {
      try {
        return settings({ status: 'x', size: 'y' });
      } catch (thrown) {
        return thrown as CodedError;
      }
    })();
    expect((error as CodedError).problems).toHaveLength(2);
  });
});
