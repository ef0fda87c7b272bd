DROP TABLE bakes;
