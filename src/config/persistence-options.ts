import { globalOption, type Option } from './option.ts';
import { choice, filePath, flag, integer } from './value-kinds.ts';

/** What becomes of sessions and messages when the process ends. */
export const persistenceOptions: readonly Option[] = [
  globalOption({
    name: 'persistence',
    aliases: ['retained_persistence'],
    kind: flag,
    default: 'false',
    summary:
      'Keeps sessions, their messages and retained messages in a file: what was acknowledged outlives the process.',
    apply: ({ persistence }, value) => void (persistence.isOn = value),
  }),
  globalOption({
    name: 'persistence_location',
    kind: filePath,
    default: 'the current folder',
    summary: 'Folder of that file. It must be there.',
    apply: ({ persistence }, value) => void (persistence.location = value),
  }),
  globalOption({
    name: 'persistence_file',
    kind: filePath,
    default: 'martlet.db',
    summary:
      "Name of that file. One that Mosquitto wrote is left as it is, and taken up into another one's name with `.martlet` behind.",
    apply: ({ persistence }, value) => void (persistence.file = value),
  }),
  globalOption({
    name: 'persistence_sync',
    kind: choice('normal', 'full'),
    default: 'normal',
    summary: 'What is acknowledged outlives the end of the process (`normal`), or the loss of power as well (`full`).',
    isOurs: true,
    apply: ({ persistence }, value) => void (persistence.sync = value),
  }),
  globalOption({
    name: 'autosave_interval',
    kind: integer(0, 2_147_483_647, 'a number', 0),
    default: '1800',
    summary:
      'Accepted without effect: with `persistence true` every change is saved at once, and acknowledged after that.',
    apply: () => {},
  }),
  globalOption({
    name: 'autosave_on_changes',
    kind: flag,
    default: 'false',
    summary: 'Accepted without effect, as `autosave_interval` is.',
    apply: () => {},
  }),
  globalOption({
    name: 'queue_full',
    kind: choice('drop_new', 'drop_oldest', 'disconnect'),
    default: 'drop_new',
    summary:
      'What becomes of a message for a session whose queue is full: it is dropped, or the oldest one is, or the client ' +
      'is disconnected and the message dropped.',
    isOurs: true,
    apply: ({ broker }, value) => void (broker.queueFull = value),
  }),
];
