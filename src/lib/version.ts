/** The version in package.json, which does not travel with the bundle; a test compares them. */
export const VERSION = '1.0.0';
