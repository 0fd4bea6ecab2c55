// Options that load native plugins of Mosquitto. They are shared libraries for its own address space: no other program
// can use them.
import type { ConfigDraft } from './config-draft.ts';
import { type Option, OptionScope } from './option.ts';
import { ValueError } from './value-kinds.ts';

/** What to do instead, by a part of the file's name. */
const replacements: readonly (readonly [part: string, advice: string])[] = [
  ['password_file', "Martlet reads password files itself: write 'password_file FILE'"],
  ['acl_file', "Martlet reads files of access rules itself: write 'acl_file FILE'"],
  ['dynamic_security', "dynamic security comes in a later version; use 'password_file' and 'acl_file' for now"],
  ['persist_sqlite', 'Martlet keeps sessions and messages itself, without a plugin'],
];

const ADVICE = "use 'password_file' for users and 'acl_file' for their rights";

function refusePlugin(draft: ConfigDraft, name: string, path: string): void {
  const advice = replacements.find(([part]) => path.includes(part))?.[1] ?? ADVICE;
  draft.plugin = name;
  draft.plugins.push({ ...draft.place, text: `${name}: native plugins of Mosquitto cannot be loaded; ${advice}` });
}

function pluginOption(name: string, placeholder: string, expects: string, summary: string, set: Option['set']): Option {
  return {
    name,
    aliases: [],
    scope: OptionScope.plugin,
    placeholder,
    expects,
    mostWords: null,
    default: 'none',
    summary: `Refused: ${summary}`,
    isOurs: false,
    isOnce: false,
    isRepeatable: true,
    isValueless: false,
    isSecret: true,
    set,
  };
}

const loads: Option['set'] = (draft, value, name) => refusePlugin(draft, name, value);

/** A plugin that is refused already takes its options with it; without one they make no sense, as in Mosquitto. */
const belongs: Option['set'] = (draft) => {
  if (draft.plugin === null) throw new ValueError("needs a 'plugin' above it, which it is for");
};

const FILE = 'the path of a plugin';

export const pluginOptions: readonly Option[] = [
  pluginOption(
    'plugin',
    'FILE',
    FILE,
    'native plugins of Mosquitto cannot be loaded. In their place there are `password_file` and `acl_file`.',
    loads,
  ),
  pluginOption('global_plugin', 'FILE', FILE, 'as `plugin`.', loads),
  pluginOption('auth_plugin', 'FILE', FILE, 'as `plugin`, of which it is the old name.', loads),
  pluginOption('plugin_load', 'NAME FILE', 'a name and the path of a plugin', 'as `plugin`.', (draft, value, name) => {
    const [, path = ''] = value.split(/[ \t]+/, 2);
    if (path === '') throw new ValueError();
    refusePlugin(draft, name, path);
  }),
  pluginOption('plugin_use', 'NAME', 'the name of a plugin', 'as `plugin`.', belongs),
  pluginOption('auth_plugin_deny_special_chars', 'true|false', 'true or false', 'an option of a `plugin`.', belongs),
  pluginOption(
    'plugin_opt_*',
    'ANYTHING',
    'a value',
    'an option of a `plugin`; `auth_opt_*` is its old name.',
    belongs,
  ),
];

const pluginOpt = pluginOptions.at(-1)!;

/** `auth_opt_` and `plugin_opt_` begin names of a plugin's own making. */
export function findPluginOption(name: string): Option | null {
  return /^(?:auth|plugin)_opt_[^=:\p{Cc}\u2028\u2029]+$/u.test(name) ? pluginOpt : null;
}
