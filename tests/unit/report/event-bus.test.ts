import { describe, expect, test } from 'vitest';
import type { UpgradeEvent } from '../../../src/model/event.ts';
import { createEventBus } from '../../../src/report/event-bus.ts';
import { createScrubber } from '../../../src/report/scrub.ts';

const now = () => '2026-01-02T03:04:05.678Z';
const warning = (message: string) => ({ type: 'warning', message }) as const;
const output = (line: string) => ({ type: 'step-output', step: 's', stream: 'stdout', line, transient: true }) as const;

function busWith(options: Partial<Parameters<typeof createEventBus>[0]> = {}) {
  const kept: UpgradeEvent[] = [];
  const heard: UpgradeEvent[] = [];
  const warned: string[] = [];
  const bus = createEventBus({ runId: 'R', now, append: (event) => kept.push(event), warn: (message) => warned.push(message), ...options });
  return { bus, kept, heard, warned };
}

describe('the event bus', () => {
  test('numbers what is kept, gives transient events the number before, and keeps those out of the journal', () => {
    const { bus, kept, heard } = busWith({ firstSeq: 7 });
    bus.subscribe((event) => heard.push(event));
    for (const body of [output('a'), warning('b'), output('c'), warning('d')]) bus.emit(body);
    expect(heard.map(({ seq, type }) => `${seq} ${type}`)).toEqual(['6 step-output', '7 warning', '7 step-output', '8 warning']);
    expect(kept.map(({ seq }) => seq)).toEqual([7, 8]);
    expect(kept[0]).toEqual({ type: 'warning', message: 'b', seq: 7, at: now(), runId: 'R' });
  });

  test('a listener that throws is told of once, and nobody else misses anything', () => {
    const { bus, kept, heard, warned } = busWith();
    bus.subscribe(() => {
      throw new Error('broken display');
    });
    bus.subscribe((event) => heard.push(event));
    bus.emit(warning('a'));
    bus.emit(warning('b'));
    expect([heard.length, kept.length]).toEqual([2, 2]);
    expect(warned).toEqual([expect.stringContaining('broken display')]);
  });

  test('what a listener emits is heard by all after what it heard', () => {
    const { bus, heard } = busWith();
    bus.subscribe((event) => {
      if (event.type === 'warning' && event.message === 'first') bus.emit(warning('second'));
    });
    bus.subscribe((event) => heard.push(event));
    bus.emit(warning('first'));
    expect(heard.map((event) => (event.type === 'warning' ? event.message : event.type))).toEqual(['first', 'second']);
  });

  test('a journal that fails is not swallowed', () => {
    const { bus } = busWith({
      append: () => {
        throw new Error('disk full');
      },
    });
    expect(() => bus.emit(warning('a'))).toThrow('disk full');
  });

  test('who has stopped listening hears no more', () => {
    const { bus, heard } = busWith();
    const stop = bus.subscribe((event) => heard.push(event));
    bus.emit(warning('a'));
    stop();
    bus.emit(warning('b'));
    expect(heard).toHaveLength(1);
  });

  test('neither journal nor listeners get a secret', () => {
    const { bus, kept, heard } = busWith({ scrub: createScrubber(['hunter2']) });
    bus.subscribe((event) => heard.push(event));
    bus.emit(warning('it is hunter2'));
    bus.emit(output('hunter2'));
    expect(JSON.stringify([kept, heard])).not.toContain('hunter2');
  });
});
