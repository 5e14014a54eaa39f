// What is sent for one notification: the request's body and headers as its receiver wants them. Pure.
import type { NotifyConfig, NotifyTemplate } from '../model/config.ts';
import type { Notification } from '../model/notification.ts';
import type { Outcome } from '../model/run.ts';

export interface Message {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Make = (notification: Notification) => Message;

const json = { 'content-type': 'application/json; charset=utf-8' };

const templates: Readonly<Record<NotifyTemplate, Make>> = {
  json: (notification) => ({ body: JSON.stringify(notification), headers: json }),
  slack: (notification) => {
    const { title, lines } = told(notification);
    const text = [`*${slackText(title)}*`, ...lines.map(slackText)].join('\n');
    return {
      headers: json,
      // `text` is what a phone shows; the attachment carries the colour.
      body: JSON.stringify({ text: slackText(title), attachments: [{ color: colour(notification.outcome), mrkdwn_in: ['text'], text }] }),
    };
  },
  discord: (notification) => {
    const { title, lines } = told(notification);
    return {
      headers: json,
      body: JSON.stringify({
        // Nobody is pinged by what a step has printed.
        allowed_mentions: { parse: [] },
        embeds: [
          {
            title: cut(title, 256),
            description: cut(lines.join('\n').replace(/[\\*_~`|>]/g, '\\$&'), 4_000),
            color: Number.parseInt(colour(notification.outcome).slice(1), 16),
            timestamp: notification.finishedAt,
          },
        ],
      }),
    };
  },
  ntfy: (notification) => {
    const { title, lines } = told(notification);
    return {
      body: cut(lines.join('\n'), 4_000),
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        title: headerText(cut(title, 200)),
        priority: notification.outcome === 'stranded' ? 'urgent' : isGood(notification.outcome) ? 'default' : 'high',
        tags: isGood(notification.outcome) ? 'white_check_mark' : notification.outcome === 'stranded' ? 'rotating_light' : 'warning',
      },
    };
  },
};

export function messageFor({ template, headers }: Pick<NotifyConfig, 'template' | 'headers'>, notification: Notification): Message {
  const { body, headers: own } = templates[template](notification);
  return { body, headers: { ...own, ...headers } };
}

function told({ product, outcome, from, to, version, host, failure, next, runId }: Notification): {
  readonly title: string;
  readonly lines: readonly string[];
} {
  const way = from === to ? 'its ladders' : `${from ?? '?'} → ${to ?? '?'}`;
  return {
    title: `${product}: ${saying[outcome]}`,
    lines: [
      `${way} on ${host}${version === null ? '' : `; ${version} is installed now`}`,
      ...(failure === null
        ? []
        : [`${failure.step === undefined ? '' : `${failure.step}: `}${failure.message} (${failure.code})`, failure.hint]),
      ...(next === null ? [`Run ${runId}`] : [`Next: ${next}`]),
    ],
  };
}

const saying: Readonly<Record<Outcome, string>> = {
  committed: 'upgraded',
  'nothing-to-do': 'nothing to do',
  refused: 'the upgrade was refused',
  'rolled-back': 'the upgrade failed and was rolled back',
  stopped: 'stopped at a failing step',
  stranded: 'STRANDED: the rollback could not be completed',
};

function isGood(outcome: Outcome): boolean {
  return outcome === 'committed' || outcome === 'nothing-to-do';
}

function colour(outcome: Outcome): string {
  return isGood(outcome) ? '#1f8a5f' : outcome === 'stranded' ? '#c62f3b' : '#c98a0b';
}

/** The three characters that mean something to Slack. */
function slackText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** A header holds ASCII; ntfy reads the rest as mail does (RFC 2047). */
function headerText(text: string): string {
  const line = text.replace(/[\r\n]+/g, ' ');
  return /^[\x20-\x7e]*$/.test(line) ? line : `=?UTF-8?B?${Buffer.from(line).toString('base64')}?=`;
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
