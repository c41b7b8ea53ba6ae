import { z } from 'zod'
import { json } from './json.ts'
import { lines, match, ParseError, parser } from './parser.ts'

const group = z.object({
  hosts: z.array(z.string()).default([]),
  children: z.array(z.string()).default([]),
  vars: z.record(z.string(), z.unknown()).default({}),
})

/** `ansible-inventory --list`: the groups, and every host's merged variables. */
export const inventoryList = json(
  z
    .object({ _meta: z.object({ hostvars: z.record(z.string(), z.record(z.string(), z.unknown())).default({}) }) })
    .catchall(z.unknown())
    .transform(({ _meta, ...rest }) => ({
      hostvars: _meta.hostvars,
      groups: Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, group.parse(value)])),
    })),
)

/** `ansible-inventory --graph`: `parent → children` for groups (`@name`) and hosts. */
export const inventoryGraph = parser(text => {
  const edges: { parent: string; child: string }[] = []
  const path: string[] = []
  for (const line of lines(text)) {
    const [indent = '', name = ''] = match(line, /^((?:  \||  )*(?:--)?)(@?[^\s|:]+):?$/, 'an inventory graph line')
    const depth = (indent.match(/\|/g) ?? []).length
    path.length = depth
    const parent = path[depth - 1]
    if (parent !== undefined) edges.push({ parent, child: name })
    else if (depth > 0) throw new ParseError('a group without its parent', line.number)
    path[depth] = name
  }
  if (path.length === 0) throw new ParseError('empty: no group')
  return edges
})

/** `ansible-playbook --list-tags`: every tag of every play and task, each once. */
export const playbookTags = parser(text => {
  const tags = [...text.matchAll(/TAGS: \[([^\]]*)\]/g)].flatMap(found => (found[1] ?? '').split(', '))
  if (tags.length === 0) throw new ParseError('no TAGS line: not the output of ansible-playbook --list-tags')
  return [...new Set(tags)].filter(tag => tag !== '')
})

/** `ansible-playbook --list-tasks`: the plays in order, and how many tasks they have. */
export const listedTasks = parser(text => {
  const plays = [...text.matchAll(/^ {2}play #\d+ \(.*?\): (.*?)\tTAGS: /gm)].map(found => found[1] ?? '')
  if (plays.length === 0) throw new ParseError('no play: not the output of ansible-playbook --list-tasks')
  return { plays, tasks: [...text.matchAll(/^ {6}\S.*\tTAGS: /gm)].length }
})
