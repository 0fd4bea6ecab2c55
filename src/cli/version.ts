export { VERSION } from '../config/version.ts';
