// A Docker volume as a source of backups: its files, through the mount point that Docker tells, by GNU tar. Only root reaches it.
import type { CommandSource } from '../model/config.ts';

const mountPoint = `m=$(docker volume inspect --format '{{.Mountpoint}}' "$1") && [ -n "$m" ] && [ -d "$m" ] || exit 9`;
const tar = 'tar --numeric-owner --xattrs --acls --selinux';
/** Nothing of the process that packs, nor of when a file was read: what is the same gives the same bytes. */
const pack = `${tar} --sort=name --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -cf -`;

/** What comes is complete beside the volume before anything of it is moved; the folder itself stays, since containers have it mounted. */
const restore = `set -e
new="$m/../rungs-restore-new"; old="$m/../rungs-restore-old"
rm -rf "$new"; mkdir "$new"
${tar} -xpf - -C "$new"
mkdir -p "$old"
find "$m" -mindepth 1 -maxdepth 1 -exec mv --backup=numbered -t "$old" {} +
find "$new" -mindepth 1 -maxdepth 1 -exec mv -t "$m" {} +
chown --reference="$new" "$m"; chmod --reference="$new" "$m"; touch -r "$new" "$m"
rm -rf "$new" "$old"; sync -f "$m"`;

export function volumeSource(name: string): CommandSource {
  const shell = (script: string): readonly string[] => ['sh', '-c', `${mountPoint}\n${script}`, 'sh', name];
  return {
    backup: shell(`exec ${pack} -C "$m" .`),
    restore: shell(restore),
    // Times of folders change when something in them is put back as it was.
    digest: shell(`exec sh -c '${pack} --mtime=@0 -C "$1" . | sha256sum' sh "$m"`),
    timeoutMs: 3_600_000,
  };
}
