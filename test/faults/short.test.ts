import { SHORT } from './cases/index.ts';
import { stage } from './stage.ts';

stage(SHORT);
