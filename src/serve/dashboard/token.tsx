// The token is typed in once for each window, and kept there alone: no cookie, nothing that another page could use.
import { useEffect, useRef } from 'preact/hooks';

const key = 'rungs-token';

export function keptToken(): string | null {
  return sessionStorage.getItem(key);
}

export function keepToken(token: string): void {
  sessionStorage.setItem(key, token);
}

export function forgetToken(): void {
  sessionStorage.removeItem(key);
}

export function TokenForm({ problem, onToken }: { readonly problem: string | null; readonly onToken: (token: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <main class="door">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          const token = field.current?.value.trim() ?? '';
          if (token !== '') onToken(token);
        }}
      >
        <Logo />
        <h1>Rungs</h1>
        <p>
          A token says that you may look. On the server: <code>upgrade token create NAME</code>
        </p>
        <label for="token">Token</label>
        <input
          id="token"
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          aria-describedby={problem === null ? undefined : 'token-problem'}
        />
        {problem !== null && (
          <p id="token-problem" class="problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit">Look</button>
      </form>
    </main>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M10 6v20M22 6v20M10 11h12M10 16h12M10 21h12" />
    </svg>
  );
}
