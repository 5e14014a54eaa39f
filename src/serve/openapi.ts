// The OpenAPI document, made of the routes and of the schemas that `--json` is checked against.
import * as z from 'zod/mini';
import { problemDocument } from '../../schemas/api-documents.ts';
import { rungsVersion } from '../rungs-version.ts';
import { routes, type Route } from './routes.ts';

const meaning: Readonly<Record<number, string>> = {
  400: 'The request cannot be understood.',
  401: 'No token, or one that is not known or has expired.',
  403: 'The token lacks the scope, or the request comes from a page of another origin.',
  404: 'There is no such thing.',
  421: 'The request is for another host.',
  422: 'It can be understood and has no answer: the migrations or the target are wrong.',
  429: 'Too many requests.',
  503: 'The journal cannot be read now, or too many clients follow.',
};

export function openApiDocument(): Readonly<Record<string, unknown>> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Rungs',
      version: rungsVersion,
      description: 'What "upgrade serve" tells of an installation. It only tells: nothing can be changed here.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths: Object.fromEntries(Object.values(routes).map((route) => [route.path, { get: operation(route) }])),
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: '"upgrade token create NAME" prints one.' } },
      schemas: { Problem: schemaOf(problemDocument) },
    },
  };
}

function operation({ id, summary, scope, params, query, answer, problems }: Route): unknown {
  const codes = [...(scope === null ? [] : [401, 403, 503]), ...problems, 421, 429];
  return {
    operationId: id,
    summary,
    ...(scope === null ? { security: [] } : { description: `Needs a token with the scope \`${scope}\`.` }),
    parameters: [...parameters('path', params), ...parameters('query', query)],
    responses: {
      200: { description: 'schema' in answer ? 'The answer.' : answer.about, content: { [answer.type]: contentOf(answer) } },
      ...Object.fromEntries(
        codes.map((code) => [
          code,
          { description: meaning[code] ?? '', content: { 'application/json': { schema: { $ref: '#/components/schemas/Problem' } } } },
        ]),
      ),
    },
  };
}

function contentOf(answer: Route['answer']): unknown {
  if ('schema' in answer) return { schema: schemaOf(answer.schema) };
  return answer.type === 'application/json' ? { schema: { type: 'object' } } : { schema: { type: 'string' } };
}

function parameters(where: 'path' | 'query', shapes: Readonly<Record<string, z.core.$ZodType>>): readonly unknown[] {
  return Object.entries(shapes).map(([name, shape]) => {
    const { description, ...schema } = schemaOf(shape);
    return { name, in: where, required: where === 'path', ...(description === undefined ? {} : { description }), schema };
  });
}

function schemaOf(schema: z.core.$ZodType): Readonly<Record<string, unknown>> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'output', target: 'draft-2020-12' });
  return rest;
}
