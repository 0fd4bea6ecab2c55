import { globalOption, type Option } from './option.ts';
import { text } from './value-kinds.ts';

const anything = text('ANYTHING', 'anything');

function removed(name: string, summary: string): Option {
  return globalOption({
    name,
    kind: anything,
    default: 'none',
    summary,
    isValueless: true,
    apply: (_, __, draft) => void draft.notices.push(`Warning: The ${name} option is no longer available.`),
  });
}

/** Options of earlier versions of Mosquitto, which files still have. */
export const deprecatedOptions: readonly Option[] = [
  removed(
    'retry_interval',
    'Accepted without effect, with a warning: messages are sent again when a client connects, and only then.',
  ),
  removed(
    'store_clean_interval',
    'Accepted without effect, with a warning: there is nothing to clean from time to time.',
  ),
];
