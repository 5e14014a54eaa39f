// The version of Rungs itself, told by `--version` and written into backups. A test holds it equal to package.json.
export const rungsVersion = '0.1.0';
