import { describe, expect, test } from 'vitest';
import { drivers, DriverRegistry, registerMasterDriver, registerWorkerDriver } from '../../src/cluster/registry.ts';

const driver = () => ({ run: () => Promise.resolve() });

describe('the driver registry', () => {
  test('gives a new driver for each call', () => {
    const registry = new DriverRegistry();
    registry.registerMaster('ping', driver);
    registry.registerWorker('ping', driver);
    expect(registry.createMaster('ping')).not.toBe(registry.createMaster('ping'));
    expect(registry.createWorker('ping')).toHaveProperty('run');
    expect(registry.names()).toEqual(['ping']);
  });

  test('refuses an empty name and a duplicate at once', () => {
    const registry = new DriverRegistry();
    registry.registerMaster('ping', driver);
    expect(() => registry.registerMaster('', driver)).toThrow('master driver: expected a name, found ""');
    expect(() => registry.registerWorker(' ', driver)).toThrow('worker driver: expected a name, found " "');
    expect(() => registry.registerMaster('ping', driver)).toThrow(
      'master driver "ping": expected a new name, found it registered',
    );
  });

  test('refuses what is no factory', () => {
    const registry = new DriverRegistry();
    expect(() => registry.registerMaster('ping', driver() as never)).toThrow('expected a factory, found a map');
  });

  test('names the known drivers when it does not know one', () => {
    const registry = new DriverRegistry();
    expect(() => registry.createWorker('pong')).toThrow('worker driver: none is registered, found "pong"');
    registry.registerWorker('stress', driver);
    registry.registerWorker('ping', driver);
    expect(() => registry.createWorker('pong')).toThrow(
      'worker driver: expected one of "ping", "stress", found "pong"',
    );
  });

  test('the functions register with the one registry of the process', () => {
    registerMasterDriver('registry.test', driver);
    registerWorkerDriver('registry.test', driver);
    expect(drivers.hasMaster('registry.test') && drivers.hasWorker('registry.test')).toBe(true);
  });
});
