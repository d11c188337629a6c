/** A refusal of the server in words. */
import type { ApiError } from './call.ts';

/** What people meet most; the rest are told by their code. */
const sentences: Readonly<Record<string, string>> = {
  SESSION_AUTHENTICATION_FAILED: 'Authentication failed: the user or the password is wrong.',
  UUID_INVALID: 'There is no such object.',
  HANDLE_INVALID: 'The object is gone, or never was.',
  VM_BAD_POWER_STATE: 'The VM is not in a state in which this can be done.',
  VM_IS_TEMPLATE: 'This cannot be done to a template.',
  OPERATION_NOT_ALLOWED: 'This is not allowed.',
  OTHER_OPERATION_IN_PROGRESS: 'Something else is being done to the object.',
  NOT_IMPLEMENTED: 'The server knows this call but does not do it.',
  MESSAGE_METHOD_UNKNOWN: 'The server does not know this call.',
  RBAC_PERMISSION_DENIED: 'The role of this user does not allow it.',
  TASK_CANCELLED: 'The task was cancelled.',
  HOST_NOT_ENOUGH_FREE_MEMORY: 'The host has too little free memory.',
  VMS_FAILED_TO_COOPERATE: 'Guests did not give up memory that they were told to give up.',
  CANNOT_CONTACT_HOST: 'The host cannot be reached.',
};

/** One sentence about a refusal; the code and its parameters where there is none. */
export const sentenceFor = (error: ApiError): string => knownSentence(error) ?? [error.code, ...error.params].join(' ');

/** What Xen refuses is said in its own words. */
const knownSentence = ({ code, params }: ApiError): string | undefined =>
  code === 'XEN_REFUSED' ? params[2] : sentences[code];

/** Lines for stderr: a sentence where there is one, the code, and its parameters by name. */
export async function explain(error: ApiError): Promise<string> {
  const { code, params } = error;
  const sentence = knownSentence(error);
  const { errorTable, methods, notImplementedReason } = await import('@xenolith/xapi');
  const names: readonly string[] = Object.entries(errorTable).find(([name]) => name === code)?.[1] ?? [];
  const lines = [...(sentence === undefined ? [] : [sentence]), `Error code: ${code}`];
  const method = code === 'NOT_IMPLEMENTED' ? methods().get(params[0] ?? '') : undefined;
  const reason = method === undefined ? undefined : notImplementedReason(method);
  if (reason !== undefined) lines.push(`Reason: ${reason}`);
  for (const [i, param] of params.entries()) lines.push(`${names[i] ?? 'parameter'}: ${param}`);
  return lines.join('\n');
}
