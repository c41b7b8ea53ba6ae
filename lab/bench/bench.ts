import { noDocker } from '../twin/twin.ts'
import { benchSimulated } from './simulated.ts'
import { benchTwin } from './twin.ts'

const without = noDocker()
if (without === undefined) await benchTwin()
else console.log(`four twin nodes: skipped: ${without}`)
await benchSimulated(process.argv.includes('--small') ? [10, 100] : [10, 100, 1000])
