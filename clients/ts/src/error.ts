import type { Problem } from './schema.gen.js';

/** An error that the API answered (RFC 9457). Branch on errorCode. */
export class RoomcastError extends Error {
  override readonly name = 'RoomcastError';

  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(`${status} ${problem.errorCode}: ${problem.detail} (request ${problem.requestId})`);
  }

  get errorCode(): string {
    return this.problem.errorCode;
  }

  /** of reads an error answer; one that is no problem document keeps its status. */
  static async of(response: Response): Promise<RoomcastError> {
    const parsed: unknown = await response.json().catch(() => null);
    const problem = (parsed && typeof parsed === 'object' ? parsed : {}) as Partial<Problem>;
    return new RoomcastError(response.status, {
      type: 'about:blank',
      title: response.statusText,
      status: response.status,
      detail: response.statusText,
      instance: '',
      errorCode: '',
      requestId: response.headers.get('X-Request-Id') ?? '',
      ...problem,
    });
  }
}

/** hasCode says whether an error is an answer with this errorCode. */
export function hasCode(err: unknown, code: string): err is RoomcastError {
  return err instanceof RoomcastError && err.errorCode === code;
}
