/** What is wrong with what somebody asked of a simulation, in a sentence for them. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
}
