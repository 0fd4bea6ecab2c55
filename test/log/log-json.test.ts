import { expect, test } from 'bun:test';
import { type LogFields, LogType } from '../../src/broker/log.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { lineFormat } from '../../src/log/line-format.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

function line(type: LogType, text: string, fields?: LogFields, ...options: string[]): string {
  const { log } = parseConfig(['log_format json', ...options].join('\n'), 'log.conf').config;
  return lineFormat(log).line(type, text, fields, NOW);
}

test('log_format json writes an object: time, level, message, and what the line is about', () => {
  const fields = { client: 'c1', address: '192.0.2.1:50000', reason: 'exceeded timeout' };
  expect(line(LogType.notice, 'Client c1 [192.0.2.1:50000] disconnected: exceeded timeout.', fields)).toBe(
    '{"time":"2026-01-02T03:04:05.006Z","level":"notice",' +
      '"message":"Client c1 [192.0.2.1:50000] disconnected: exceeded timeout.",' +
      '"client":"c1","address":"192.0.2.1:50000","reason":"exceeded timeout"}',
  );
});

test('log_format json names each type', () => {
  for (const [name, type] of Object.entries(LogType)) expect(JSON.parse(line(type, 'x')).level).toBe(name);
});

test('log_format json stays one line, whatever is in a text', () => {
  const text = 'a "quote" \n and \u2028 and \\';
  const written = line(LogType.error, text);
  expect(written).not.toContain('\n');
  expect(JSON.parse(written).message).toBe(text);
  expect(JSON.parse(line(LogType.debug, '\ttopic (QoS 1)')).message).toBe('topic (QoS 1)');
});

test('log_format json has no time where log_timestamp is false, and its own form of it in any case', () => {
  expect(line(LogType.error, 'x', undefined, 'log_timestamp false')).toBe('{"level":"error","message":"x"}');
  expect(JSON.parse(line(LogType.error, 'x', undefined, 'log_timestamp_format %H')).time).toBe(
    '2026-01-02T03:04:05.006Z',
  );
});
