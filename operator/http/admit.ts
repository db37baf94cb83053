import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Access, Question } from './access.ts';
import { Problem } from './problems.ts';
import type { ProblemKind } from './problems.ts';

/** Throws the request's problem unless it is allowed. `forbidden`: the problem if the user lacks permission. */
export type Admit = (
  request: FastifyRequest,
  reply: FastifyReply,
  question: Question,
  forbidden?: ProblemKind,
) => Promise<void>;

export function admitBy(access: Access): Admit {
  return async (request, reply, question, forbidden = 'forbidden') => {
    let verdict;
    try {
      verdict = await access.decide(request.headers.authorization, question, request.ip);
    } catch (error) {
      throw new Problem('unavailable', error);
    }
    if (verdict === 'forbidden') throw new Problem(forbidden);
    if (verdict === 'busy') {
      reply.header('retry-after', 1);
      throw new Problem('busy');
    }
    if (verdict === 'unauthenticated') {
      reply.header('www-authenticate', 'Bearer');
      throw new Problem('unauthenticated');
    }
  };
}
