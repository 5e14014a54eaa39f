// SSH keys of the kind Ed25519 as recipients and identities of age, as `age -R id_ed25519.pub` has them (age's agessh package).
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { Stanza, type Identity, type Recipient } from 'age-encryption';

const type = 'ssh-ed25519';
const label = 'age-encryption.org/v1/ssh-ed25519';

export function sshRecipient(publicKey: Uint8Array): Recipient {
  const theirs = ed25519.utils.toMontgomery(publicKey);
  return {
    wrapFileKey: (fileKey) => {
      const ephemeral = x25519.utils.randomSecretKey();
      const share = x25519.getPublicKey(ephemeral);
      const key = wrappingKey(x25519.getSharedSecret(ephemeral, theirs), { publicKey, share, theirs });
      const cipher = createCipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 });
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
      return [new Stanza([type, tagOf(publicKey), base64(share)], Uint8Array.from(body))];
    },
  };
}

/** `seed`: the first 32 bytes of the private key. */
export function sshIdentity(seed: Uint8Array): Identity {
  const publicKey = ed25519.getPublicKey(seed);
  const theirs = ed25519.utils.toMontgomery(publicKey);
  const secret = ed25519.utils.toMontgomerySecret(seed);
  return {
    unwrapFileKey: (stanzas) => {
      for (const { args, body } of stanzas) {
        if (args[0] !== type || args[1] !== tagOf(publicKey)) continue;
        const share = Buffer.from(args[2] ?? '', 'base64');
        if (args.length !== 3 || share.length !== 32 || body.length !== 32) throw new TypeError('a stanza for an SSH key is damaged');
        const key = wrappingKey(x25519.getSharedSecret(secret, share), { publicKey, share, theirs });
        const decipher = createDecipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 });
        decipher.setAuthTag(body.subarray(16));
        return Uint8Array.from(Buffer.concat([decipher.update(body.subarray(0, 16)), decipher.final()]));
      }
      return null;
    },
  };
}

/** As in the first two words of an `id_ed25519.pub`. */
export function sshRecipientText(seed: Uint8Array): string {
  return `${type} ${wireOf(ed25519.getPublicKey(seed)).toString('base64')}`;
}

interface Exchange {
  readonly publicKey: Uint8Array;
  readonly share: Uint8Array;
  readonly theirs: Uint8Array;
}

function wrappingKey(shared: Uint8Array, { publicKey, share, theirs }: Exchange): Buffer {
  // Binds the exchange to the SSH key, whose conversion to Curve25519 forgets a sign.
  const tweak = new Uint8Array(hkdfSync('sha256', Buffer.alloc(0), wireOf(publicKey), label, 32));
  return Buffer.from(hkdfSync('sha256', x25519.getSharedSecret(tweak, shared), Buffer.concat([share, theirs]), label, 32));
}

/** Tells which of several SSH keys a stanza is for. */
function tagOf(publicKey: Uint8Array): string {
  return base64(createHash('sha256').update(wireOf(publicKey)).digest().subarray(0, 4));
}

function wireOf(publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, type.length]), Buffer.from(type), Buffer.from([0, 0, 0, 32]), publicKey]);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}
