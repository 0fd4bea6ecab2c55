import { expect, test } from 'bun:test';
import { configText, findTargets, targets } from './targets.ts';

test('a name that no broker has is an error that lists those there are', () => {
  expect(() => findTargets(['nats'])).toThrow(
    'no broker is named "nats"; there are: martlet, mosquitto, mosquitto-nagle',
  );
});

test('a broker that cannot run here is an error that says why', () => {
  const absent = targets.filter((target) => target.missing() !== null);
  for (const target of absent) expect(() => findTargets([target.name])).toThrow(`cannot run ${target.name}: `);
  for (const target of targets) if (!absent.includes(target)) expect(findTargets([target.name])).toEqual([target]);
});

test('all brokers get the same listener, certificate and limits', () => {
  const settings = { port: 1883, certificate: { certFile: '/c', keyFile: '/k' } };
  for (const target of targets) {
    expect(configText(target, settings).split('\n')).toEqual([
      'listener 1883 127.0.0.1',
      'certfile /c',
      'keyfile /k',
      'allow_anonymous true',
      'max_inflight_messages 100',
      'max_queued_messages 100000',
      'log_dest none',
      ...target.extraLines,
      '',
    ]);
  }
});
