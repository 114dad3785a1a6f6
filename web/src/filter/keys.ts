// Keys of the filter line by the columns they stand for: a click on a column's value uses the short name.
import type { Tag } from '../api/types';

const SHORT: Record<string, string> = {
  l7_protocol_str: 'protocol', response_status: 'status', response_code: 'code', request_type: 'method', request_domain: 'domain',
  request_resource: 'resource', response_exception: 'exception', response_duration: 'latency',
};

export interface FoundKey {
  tag: Tag;
  /** As it is written in the filter line, with its side. */
  key: string;
}

/** The tag that a name of a tag or column, with or without side, belongs to. */
export function findKey(tags: Tag[] | undefined, name: string | undefined): FoundKey | null {
  if (!tags || name === undefined) return null;
  for (const candidate of [name, SHORT[name]]) {
    const tag = tags.find((t) => t.name === candidate);
    if (tag) return { tag, key: tag.name };
  }
  const side = /_[01]$/.exec(name)?.[0];
  const tag = side ? tags.find((t) => t.two_sided && t.name === name.slice(0, -2)) : undefined;
  return tag ? { tag, key: tag.name + side } : null;
}
