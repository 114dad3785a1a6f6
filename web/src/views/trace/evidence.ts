// Why a call stands where it stands, in words.
import { duration } from '../../format/units';
import { endOf, headOf, lastOf, type Call } from './tree';

/** Below this a link is drawn dashed: one piece of evidence alone, or a busy event loop. */
export const DOUBTFUL_BELOW = 0.7;
const SURE_FROM = 0.9;

export const isDoubtful = (call: Call): boolean => {
  const { confidence } = headOf(call);
  return confidence !== null && confidence < DOUBTFUL_BELOW;
};

const gap = (from: number, to: number): string => duration(Math.max(0, to - from));

/** The end of the last call of the same parent that was over before this one began. */
function lastAnswer(call: Call): number | null {
  const ends = (call.parent?.children ?? []).map((c) => c.end).filter((end) => end <= call.start);
  return ends.length > 0 ? Math.max(...ends) : null;
}

export function evidenceOf(call: Call): string {
  const { parent } = call;
  const head = headOf(call);
  if (!parent) return 'The trace begins here: nothing that was seen caused this call.';
  const request = lastOf(parent);
  switch (head.evidence) {
    case 'same_task':
      return 'The task that sent this call, or one that waited for it, went on to answer the request.';
    case 'task_context':
      return `The task that sent this call had read the request ${gap(request.start_us, head.start_us)} before.`;
    case 'answer_context': {
      const answered = lastAnswer(call);
      return `The task that sent this call had read the answer of the call before it${answered === null ? '' : ` ${gap(answered, head.start_us)} earlier`}.`;
    }
    case 'response_context':
      return `The task that read this answer went on to answer the request ${gap(endOf(head), endOf(request))} later.`;
    case 'joined_context':
      return 'The thread that read this answer woke one that had waited for it and works on the request.';
    case 'pattern':
      return 'Of all that the program did at that time, this fits best what is usual in it, and the tasks say the same.';
    case 'span_id':
      return 'The request carried the id of the span above it.';
    case 'trace_id':
      return 'The same trace id was received and sent on by one process.';
    case 'x_request_id':
      return 'The same X-Request-ID was received and sent on.';
    case 'same_call':
      return 'The same call, seen one point earlier on its path.';
    default:
      return 'Nothing is known about the reason.';
  }
}

export function confidenceOf(call: Call): string {
  const { confidence } = headOf(call);
  if (confidence === null) return '';
  const word = confidence >= SURE_FROM ? 'sure' : confidence >= DOUBTFUL_BELOW ? 'likely' : 'doubtful';
  return `${word}, ${Math.round(confidence * 100)} %`;
}
