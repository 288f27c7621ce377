import { stage } from './stage.ts';
import { ALL } from './cases/index.ts';

stage(ALL);
