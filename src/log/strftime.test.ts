import { expect, test } from 'bun:test';
import { formatTime, strftime } from './strftime.ts';

const conversions = 'a A b B c C d D e F g G h H I j k l m M p P r R S T u U V w W x X y Y';

/** What date(1) of the C library makes of the same. */
async function reference(format: string, isoLocal: string): Promise<string> {
  const child = Bun.spawn(['date', '-d', isoLocal, `+${format}`], {
    env: { LC_ALL: 'C', TZ: process.env['TZ'] ?? '' },
  });
  return (await child.stdout.text()).trimEnd();
}

test.each([
  '2026-11-24 15:42:40',
  '2024-02-29 00:00:00',
  '2023-01-01 12:00:00',
  '2021-01-03 23:59:59',
  '2020-12-31 01:05:09',
  '2018-12-31 11:00:00',
  '2027-01-01 13:00:01',
  '2000-01-01 00:30:00',
  '1999-12-27 06:07:08',
])('%s as date(1) prints it', async (isoLocal) => {
  const date = new Date(isoLocal.replace(' ', 'T'));
  const ours = conversions.split(' ').map((code) => `${code}=${strftime(code, date)}`);
  const format = conversions
    .split(' ')
    .map((code) => `${code}=%${code}`)
    .join('|');
  expect(ours).toEqual((await reference(format, isoLocal)).split('|'));
});

test('seconds since 1970, zone, and characters', () => {
  const date = new Date(1_700_000_000_123);
  expect(strftime('s', date)).toBe('1700000000');
  expect(strftime('z', date)).toMatch(/^[+-]\d{4}$/);
  expect(strftime('Z', date)).not.toBe('');
  expect([strftime('n', date), strftime('t', date), strftime('%', date)]).toEqual(['\n', '\t', '%']);
});

test('what is not known comes out as it is', () => {
  expect([strftime('E', new Date()), strftime('~', new Date()), strftime('é', new Date())]).toEqual(['%E', '%~', '%é']);
});

test('zones behind and off the hour', async () => {
  for (const [zone, offset] of [
    ['America/St_Johns', '-0330'],
    ['Asia/Kolkata', '+0530'],
    ['UTC', '+0000'],
  ]) {
    const script = `
      import { strftime } from ${JSON.stringify(`${import.meta.dir}/strftime.ts`)};
      console.log(strftime('z', new Date('2026-01-15T12:00:00Z')));`;
    const child = Bun.spawn([process.execPath, '-e', script], { env: { ...process.env, TZ: zone } });
    expect((await child.stdout.text()).trim()).toBe(offset!);
  }
});

test('a whole format, with flags and widths, as date(1) prints it', async () => {
  const iso = '2026-03-05 07:08:09';
  for (const format of [
    '%Y-%m-%dT%H:%M:%S',
    '%d/%b/%Y:%T, %A',
    '%-d.%-m.%y %-I:%M %p',
    '%_d|%_H|%0e|%^a|%^B|%5d|%-5d|%_5m|%05H|%10A|%^10b|%010a|%-a',
    '%Ey %Od 100%% %',
    'plain',
  ]) {
    expect([format, formatTime(format, new Date(iso.replace(' ', 'T')))]).toEqual([
      format,
      await reference(format, iso),
    ]);
  }
});
