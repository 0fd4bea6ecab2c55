import { describe, expect, test } from 'bun:test';
import { addressGroup, LoginLimiter, type LoginLimiterOptions } from './login-limiter.ts';

function limiterAt(options: Partial<LoginLimiterOptions> = {}) {
  const clock = { now: 1_000_000 };
  return { clock, limiter: new LoginLimiter(() => clock.now, options) };
}

describe('one name from one address', () => {
  test('may fail ten times, then once each ten seconds', () => {
    const { clock, limiter } = limiterAt();
    for (let i = 0; i < 10; i++) {
      expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(false);
      limiter.failed('192.0.2.1', 'u');
    }
    expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(true);
    clock.now += 9_999;
    expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(true);
    clock.now += 1;
    expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(false);
    limiter.failed('192.0.2.1', 'u');
    expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(true);
  });

  test('has all ten again after a hundred seconds', () => {
    const { clock, limiter } = limiterAt();
    for (let i = 0; i < 10; i++) limiter.failed('192.0.2.1', 'u');
    clock.now += 100_000;
    for (let i = 0; i < 10; i++) {
      expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(false);
      limiter.failed('192.0.2.1', 'u');
    }
    expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(true);
  });

  test('is cleared by a success, and stops neither other names nor other addresses', () => {
    const { limiter } = limiterAt();
    for (let i = 0; i < 20; i++) limiter.failed('192.0.2.1', 'u');
    expect(limiter.isBlocked('192.0.2.1', 'v')).toBe(false);
    expect(limiter.isBlocked('192.0.2.2', 'u')).toBe(false);
    expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(true);
    limiter.succeeded('192.0.2.1', 'u');
    expect(limiter.isBlocked('192.0.2.1', 'u')).toBe(false);
  });
});

describe('one address', () => {
  test('may fail a hundred times, then once a second, whatever the names', () => {
    const { clock, limiter } = limiterAt();
    for (let i = 0; i < 100; i++) {
      expect(limiter.isBlocked('192.0.2.1', `u${i}`)).toBe(false);
      limiter.failed('192.0.2.1', `u${i}`);
    }
    expect(limiter.isBlocked('192.0.2.1', 'new')).toBe(true);
    expect(limiter.isBlocked('192.0.2.2', 'new')).toBe(false);
    limiter.succeeded('192.0.2.1', 'u1');
    expect(limiter.isBlocked('192.0.2.1', 'new')).toBe(true);
    clock.now += 1_000;
    expect(limiter.isBlocked('192.0.2.1', 'new')).toBe(false);
  });

  test('of a fleet is not blocked by one device with an old password that tries each second', () => {
    const { clock, limiter } = limiterAt();
    let checked = 0;
    for (let second = 0; second < 86_400; second++) {
      clock.now += 1_000;
      expect(limiter.isBlocked('192.0.2.1', 'right')).toBe(false);
      if (limiter.isBlocked('192.0.2.1', 'broken')) continue;
      checked++;
      limiter.failed('192.0.2.1', 'broken');
    }
    expect(checked).toBeWithin(8_600, 8_700);
  });
});

describe('memory', () => {
  test('is bounded: the oldest is forgotten', () => {
    const { limiter } = limiterAt({ mostEntries: 1_000 });
    for (let i = 0; i < 100_000; i++) {
      limiter.failed(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`, 'x'.repeat(1_000));
      expect(limiter.size).toBeLessThanOrEqual(2_000);
    }
    expect(limiter.size).toBe(2_000);
  });

  test('of what is forgiven goes with later failures', () => {
    const { clock, limiter } = limiterAt();
    for (let i = 0; i < 1_000; i++) limiter.failed(`192.0.2.${i & 255}`, `u${i}`);
    clock.now += 1_000_000;
    for (let i = 0; i < 1_000; i++) limiter.failed('198.51.100.1', 'u');
    expect(limiter.size).toBe(2);
  });
});

describe('addresses that count as one', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:1::', '2001:db8:1:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['::2:3:4:5:6:7:8', '0:2:3:4::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
  ])('%s: %s', (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });

  test('share their failures', () => {
    const { limiter } = limiterAt();
    for (let i = 0; i < 10; i++) limiter.failed(`2001:db8:1:2::${i}`, 'u');
    expect(limiter.isBlocked('2001:db8:1:2:ffff::1', 'u')).toBe(true);
    expect(limiter.isBlocked('2001:db8:1:3::1', 'u')).toBe(false);
  });
});
